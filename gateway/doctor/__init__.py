"""``gateway doctor``: tries everything from outside in, a line for each look: OK, or what is wrong and what to do."""
