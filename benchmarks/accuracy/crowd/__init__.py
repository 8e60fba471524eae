"""Every pair of many public repositories, nearly all of which have nothing to do with each other."""
