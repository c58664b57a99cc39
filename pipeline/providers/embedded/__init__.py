"""Engines that come inside packages: no key, no account, no download at run time."""
