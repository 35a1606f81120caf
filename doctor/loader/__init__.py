"""Which file the dynamic loader takes for each library a program needs, under an alternate root.

Everything is read, nothing is run.

`resolve.resolve` answers for some files, `resolve.resolve_image` for all of an image.
"""
