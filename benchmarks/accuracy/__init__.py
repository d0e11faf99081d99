"""How close quantised models stay to their float models, ours and those of other tools, on data that can be had."""
