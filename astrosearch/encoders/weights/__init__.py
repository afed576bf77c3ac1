"""Where a model's weights are on this machine, fetched and converted if they are not here."""
