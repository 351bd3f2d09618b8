"""PEKKA in JupyterLab: run notebook cells on the network. All of it is the prebuilt extension that this package installs."""
