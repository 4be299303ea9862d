"""Messages: lists of them with filters, also as CSV, and one message with its timeline."""

from typing import Final

from app.web.pages.messages.download import download_messages
from app.web.pages.messages.listing import show_messages
from app.web.pages.messages.message import show_message
from app.web.routes import PageRoute

ROUTES: Final = (
    PageRoute("/ui/messages", show_messages),
    PageRoute("/ui/messages.csv", download_messages),
    PageRoute("/ui/messages/{id}", show_message),
)
