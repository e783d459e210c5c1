"""What every other part leans on: errors, files, images. Needs neither TensorFlow nor Keras."""
