"""Stage 02, a picture and a question."""
