"""The losses of codec training, one idea per file.

Every loss returns one value for each utterance, ``[B]``, never a mean over the batch: the loop divides by counts of
the *global* batch, so that splitting a batch over ranks or micro-batches changes nothing.
"""
