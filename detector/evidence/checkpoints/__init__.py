"""Checkpoints read as data: tensor names, shapes, dtypes and where the values lie; nothing is loaded or
unpickled.

One module for each file format, each with `read(stream, path) -> Layout`; `formats` tells them by a file's
name, `collection` finds a snapshot's checkpoints and joins the shards of one, `comparison` compares those of
two snapshots, `stream` opens a file wherever its bytes are, `values` reads numbers.
"""
