"""One offline HTML page: templates, scripts, and what is put into them."""
