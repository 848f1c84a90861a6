"""The picture of the architecture: read the templates, lay out boxes and lines, write SVG."""
