"""What Sphinx leaves undone for those who hear or read the page: an extension of the build."""

import re

# At the beginning of a glued number or of a table's cell.
HYPHEN = re.compile(r'((?:<span class="pasted-text">|<t[dh]>))-(?=\d)')
# Docutils marks the bibliography as a list whose entries are no items of a list.
ROLES = {
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
}


def drop_wrong_roles(app, pagename, templatename, context, doctree) -> None:
    """Take roles out of a page that contradict each other."""
    for wrong, right in ROLES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def true_minus_signs(app, pagename, templatename, context, doctree) -> None:
    """Give glued numbers and cells of tables a minus sign in place of a hyphen."""
    context["body"] = HYPHEN.sub("\\1−", context.get("body", ""))


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.connect("html-page-context", drop_wrong_roles)
    app.connect("html-page-context", true_minus_signs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
