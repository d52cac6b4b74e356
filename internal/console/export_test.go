package console

// TemplateOf names the template that shows a page.
func TemplateOf(p Page) string { return p.View.(templated).template() }
