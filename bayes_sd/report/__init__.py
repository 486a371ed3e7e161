"""Reports: notebooks with one source each, run on a posterior and written as one HTML file."""
