"""Where the models fail: what `minixception report-limits` measures, and the page it writes."""
