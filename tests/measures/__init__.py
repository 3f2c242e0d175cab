"""How well mail is understood: tests hold the figures, benches print them."""
