"""The certificates that the rotation trusts: Amazon RDS's own, and nobody else's."""

from __future__ import annotations

import datetime
import re
import ssl

import pytest
from cryptography import x509

from tests.functions.conftest import FUNCTIONS, PROJECT

FILE = FUNCTIONS / "rotate_secret" / "rds-ca.pem"
CERTIFICATES = x509.load_pem_x509_certificates(FILE.read_bytes())
# One of each for a region: the authorities that RDS offers for an instance.
NAME = re.compile(r"Amazon RDS ([a-z]+-[a-z]+-\d) Root CA (RSA2048|RSA4096|ECC384) G1")


def name_of(certificate: x509.Certificate) -> str:
    """The common name of who the certificate is for."""
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=name_of)
def test_each_is_an_authority_of_amazon_rds(certificate: x509.Certificate) -> None:
    assert NAME.fullmatch(name_of(certificate))
    (organization,) = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    assert organization.value == "Amazon Web Services, Inc."
    # Its own issuer, by its own signature.
    certificate.verify_directly_issued_by(certificate)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    now = datetime.datetime.now(datetime.UTC)
    assert certificate.not_valid_before_utc < now
    # Whoever renews the file has half a year for it.
    assert certificate.not_valid_after_utc > now + datetime.timedelta(days=180)


def test_a_region_has_one_of_each_kind() -> None:
    kinds: dict[str, set[str]] = {}
    for certificate in CERTIFICATES:
        match = NAME.fullmatch(name_of(certificate))
        assert match
        kinds.setdefault(match[1], set()).add(match[2])
    assert set(map(frozenset, kinds.values())) == {frozenset({"RSA2048", "RSA4096", "ECC384"})}
    assert len(CERTIFICATES) == 3 * len(kinds)


def test_every_region_that_is_deployed_to_is_there() -> None:
    hosts = "".join(path.read_text() for path in PROJECT.glob("inventories/*/hosts.yml"))
    regions = set(re.findall(r"payments_region: (\S+)", hosts))
    assert regions
    assert regions <= {name_of(certificate).split()[2] for certificate in CERTIFICATES}


def test_each_is_headed_by_its_name() -> None:
    headings = re.findall("^# (.*)$", FILE.read_text(), re.MULTILINE)
    assert headings == list(map(name_of, CERTIFICATES))


def test_nothing_else_is_trusted() -> None:
    """Python takes every certificate of the file, as strictly as its newest version does."""
    context = ssl.create_default_context(cafile=FILE)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    trusted = {
        x509.load_der_x509_certificate(der) for der in context.get_ca_certs(binary_form=True)
    }
    assert trusted == set(CERTIFICATES)
