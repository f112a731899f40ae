"""Stage 05, side by side."""
