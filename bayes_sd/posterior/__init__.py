"""A posterior and its file: draws, and all that is needed to predict from them without the data."""
