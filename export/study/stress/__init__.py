"""What bundles that ship make of packings and instruments that training did not see.

In the order of reading: `asked` lists the influences, `bench` measures one bundle, `pairs` says what real fillings and
units differ by, `reading` says what the tables come to, `page` shows it, `study` puts them together.
"""
