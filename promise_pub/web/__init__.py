"""The web server's face: forms in, pages and JSON out."""
