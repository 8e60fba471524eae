"""What a repository is built on: base models, hosted models, adapters, merges; and what its README says."""
