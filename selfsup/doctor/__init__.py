"""What can be wrong with shards, runs, texts and labelled files, each in a file of its own."""
