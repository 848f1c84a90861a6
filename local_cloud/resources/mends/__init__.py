"""Mends to MiniStack's own services: what their APIs forget or answer otherwise than AWS."""

from __future__ import annotations

from . import backup, cloudwatch, config, ec2, ecs, elb, iam, rds, s3, scaling, secrets, ssm, waf
from .core import mend


def apply() -> None:
    """Apply every mend to the running interpreter; to be called once."""
    backup.keep_settings()
    cloudwatch.keep_settings()
    mend("alb", "elbv2", elb.MENDS)
    mend("config", "config", config.MENDS)
    mend("ec2", "ec2", ec2.MENDS)
    mend("ecs", "ecs", ecs.MENDS)
    ecs.start_no_containers()
    mend("iam", "iam", iam.MENDS)
    mend("rds", "rds", rds.MENDS)
    rds.start_no_containers()
    s3.tag_buckets_with_their_stack()
    scaling.prepare()
    mend("secretsmanager", "secretsmanager", secrets.MENDS)
    secrets.read_drift_by_arn()
    ssm.check_patterns()
    mend("waf", "wafv2", waf.MENDS)
