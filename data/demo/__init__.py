"""The bundled synthetic sessions, as raw files."""
