"""What Sphinx leaves undone for those who hear or read the page: an extension of the build."""

import re

# At the beginning of a glued number or of a table's cell.
HYPHEN = re.compile(r'((?:<span class="pasted-text">|<t[dh]>))-(?=\d)')
UNIT = re.compile(r"(\d(?:</span>)?) (?=(?:%|±|nat\b|dex\b|mag\b))")
# Symbols with an index, in a table's cell.
INDEX = re.compile(r"\b([AD])_(V|KL)\b")
CELL = re.compile(r"<t[dh][^>]*>[^<]*")
PART = re.compile(r"<(thead|tbody)>.*?</\1>", re.DOTALL)
HEADER = re.compile(r"<th(?=[ >])(?![^>]*scope)")
# A figure that is no link yet.
FIGURE = re.compile(r'(<a [^>]*>)?(<img [^>]*?src="((?:\.\./)*_images/[^"]+)"[^>]*>)')
# Docutils marks the bibliography as a list whose entries are no items of a list.
ROLES = {
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
}


def drop_wrong_roles(app, pagename, templatename, context, doctree) -> None:
    """Take roles out of a page that contradict each other."""
    for wrong, right in ROLES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def typeset_numbers(app, pagename, templatename, context, doctree) -> None:
    """Give glued numbers and tables a true minus sign, and keep numbers and units on one line."""
    body = HYPHEN.sub("\\1−", context.get("body", ""))
    context["body"] = UNIT.sub("\\1\N{NO-BREAK SPACE}", body)


def typeset_symbols(app, pagename, templatename, context, doctree) -> None:
    """Give symbols in tables their index: A_V and D_KL."""
    context["body"] = CELL.sub(
        lambda cell: INDEX.sub(r"\1<sub>\2</sub>", cell[0]), context.get("body", "")
    )


def scope_headers(app, pagename, templatename, context, doctree) -> None:
    """Say of each header of a table whether it is of its column or of its row."""

    def scoped(part):
        scope = "col" if part[1] == "thead" else "row"
        return HEADER.sub(f'<th scope="{scope}"', part[0])

    context["body"] = PART.sub(scoped, context.get("body", ""))


def link_figures(app, pagename, templatename, context, doctree) -> None:
    """Make each figure a link to itself, so that a phone can show it in full size."""

    def linked(found):
        link, image, source = found.groups()
        return found[0] if link else f'<a class="figure" href="{source}">{image}</a>'

    context["body"] = FIGURE.sub(linked, context.get("body", ""))


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.connect("html-page-context", drop_wrong_roles)
    app.connect("html-page-context", typeset_numbers)
    app.connect("html-page-context", typeset_symbols)
    app.connect("html-page-context", scope_headers)
    app.connect("html-page-context", link_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
