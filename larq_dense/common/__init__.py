"""What every other part leans on: errors, files, images, and what is installed."""
