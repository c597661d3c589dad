"""One file a device family; its name is the kind. `_template.py` is where a new one starts."""
