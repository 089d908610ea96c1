"""From folders of images of any kind to memory-mapped pixels of one kind, and crops of them."""
