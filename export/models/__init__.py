"""One file a network; `identifier` joins preprocessing, networks and gates into the one graph of a bundle."""
