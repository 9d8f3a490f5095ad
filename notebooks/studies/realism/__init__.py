"""Is a simulated survey like a real one? Chapter 12 and its three studies.

`catalogues` compares colours, errors, redshifts and properties with those of real galaxies,
`cutouts` compares images, and `image_controls` measures what the images may and may not tell about
the properties. `figures` and `tables` show the results.
"""
