"""Reading, resampling and aligning audio: the fixed parts of the measurement protocol."""
