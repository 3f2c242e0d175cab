"""The web console: a support team works in it all day. Server-rendered; live by server-sent events."""
