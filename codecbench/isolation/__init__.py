"""Plugins in environments of their own: for codecs whose requirements cannot be installed beside ours.

A codec's ``CodecSpec.requirements`` are looked up where codecbench runs. Where they are met, the codec runs in the
process that asked for it; else in a worker process of the environment that ``codecbench env build`` made.
"""
