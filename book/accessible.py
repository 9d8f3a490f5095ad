"""What Sphinx leaves undone for readers who hear the page: an extension of the book's build."""

# Docutils marks the bibliography as a list whose entries are no items of a list.
ROLES = {
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
}


def drop_wrong_roles(app, pagename, templatename, context, doctree) -> None:
    """Take roles out of a page that contradict each other."""
    for wrong, right in ROLES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.connect("html-page-context", drop_wrong_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
