package htmlmail

import "html/template"

// labels are the few words that the page itself says.
type labels struct{ lang, title, quote, picture string }

func wordsOf(lang string) labels {
	switch lang {
	case "ru":
		return labels{"ru", "Письмо", "Показать или скрыть цитату", "картинка"}
	case "am":
		return labels{"am", "ኢሜይል", "የተጠቀሰውን ጽሑፍ አሳይ ወይም ደብቅ", "ምስል"}
	}
	return labels{"en", "E-mail", "Show or hide the quoted text", "picture"}
}

// page stands on its own: nothing of the application's styles or fonts reaches into the frame.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="{{.Lang}}"{{if .Dark}} data-dark{{end}}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{.Policy}}">
<meta http-equiv="x-dns-prefetch-control" content="off">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
html { color-scheme: light; background: #ffffff; color: #1c1b19; }
html[data-dark] { color-scheme: dark; background: #1d1c1a; color: #ecebe7; }
body { margin: 0; padding: 12px 14px; font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Ethiopic", sans-serif; overflow-wrap: anywhere; }
a { color: #0b6a5d; }
html[data-dark] a { color: #5cc4b3; }
img { max-width: 100%; height: auto; }
table { max-width: 100%; }
td, th { overflow-wrap: break-word; }
pre { white-space: pre-wrap; }
p { margin: 0 0 1em; }
blockquote { margin: 0 0 1em; padding-inline-start: 10px; border-inline-start: 2px solid #8a8780; }
summary { display: inline-block; margin: 6px 0; padding: 0 8px; border-radius: 6px; background: #ecebe7; color: #55524c; line-height: 20px; cursor: pointer; list-style: none; user-select: none; }
summary::-webkit-details-marker { display: none; }
summary:focus-visible { outline: 2px solid #0b6a5d; outline-offset: 2px; }
html[data-dark] summary { background: #35332f; color: #c9c6bf; }
[data-host] { margin-inline-start: 4px; padding: 0 5px; border-radius: 4px; background: #fbe9b8; color: #5f4300; font-size: 12px; }
[data-blank] { display: inline-block; box-sizing: border-box; max-width: 100%; overflow: hidden; padding: 2px 6px; border: 1px dashed #8a8780; border-radius: 4px; background: #f4f3f0; color: #55524c; font-size: 12px; line-height: 18px; vertical-align: middle; }
html[data-dark] [data-blank] { background: #2a2926; color: #c9c6bf; }
</style>
</head>
<body dir="auto">{{.Body}}</body>
</html>
`))
