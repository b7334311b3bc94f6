package e2e

import "strings"

// naughty are texts that have broken programs before. They must come out as they went in, as text.
func naughty() []string {
	list := []string{
		// markup and script
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `<svg/onload=alert(1)>`, `"><script>alert(document.cookie)</script>`,
		`<iframe src="javascript:alert(1)"></iframe>`, `<a href="javascript:alert(1)">x</a>`, `<b>bold</b> & <i>it</i>`, `</textarea><script>x</script>`,
		`<body onload=alert(1)>`, `<style>*{display:none}</style>`, `<!--`, `-->`, `<![CDATA[x]]>`, `&lt;script&gt;`, `&#60;b&#62;`, `<scr<script>ipt>`,
		`<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>`, `{{constructor.constructor('alert(1)')()}}`, `${7*7}`, `#{7*7}`, `<%= 7*7 %>`,
		`{@html '<b>x</b>'}`, `javascript:alert(1)`, `data:text/html,<script>alert(1)</script>`, `<base href="//evil.test/">`, `<form action="//evil.test">`,
		// databases, shells, files, formats
		`'; DROP TABLE message; --`, `' OR '1'='1`, `1;SELECT pg_sleep(10)`, `\'; SELECT 1 --`, `$$ $tag$ $1 $2`, `%s%d%n%x`, `%00`, `%`, `_`, `\`, `\\`, `\0`, `\u0000`,
		`$(reboot)`, "`reboot`", `| cat /etc/passwd`, `; ls -la`, `../../../../etc/passwd`, `..\..\windows`, `C:\con\con`, `file:///etc/passwd`, `=cmd|' /C calc'!A0`, `@SUM(1+1)`, `+1`,
		`null`, `undefined`, `NaN`, `true`, `0`, `-1`, `1e309`, `0x7fffffff`, `99999999999999999999999999`, `{}`, `[]`, `"`, `'`, `""`, `{"type":"event"}`, `[1,2`, `{"a":`,
		"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n", "a\r\nb", "a\nb\nc", "tab\there", "https://evil.test/?a=1&b=2#<x>", "mailto:x@y.test", "tg://resolve?domain=x",
		// writing
		"Ω≈ç√∫˜µ≤≥÷", "田中さんにあげて下さい", "ሰላም ለዓለም፤ እንዴት ነህ?", "Привет, мир! Ёлки", "مرحبا بالعالم", "שלום עולם", "ﷺ ﷽", "नमस्ते दुनिया", "สวัสดีชาวโลก", "한국어 조선글",
		"e\u0301 é", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!", "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇹", "👍🏿", "🤷🏽‍♂️", "ｆｕｌｌｗｉｄｔｈ", "ℌ𝔢𝔩𝔩𝔬 𝕎𝕠𝕣𝕝𝕕", "ıİiI ẞß ﬁ", "Ǆ ǅ ǆ",
		// what cannot be seen
		"\u202egnp.exe", "a\u202eb\u202cc", "\u2066isolated\u2069", "\u200f\u200e", "zero\u200bwidth\u200djoin\u2060er", "\ufeffbom", "soft\u00adhyphen", "line\u2028sep\u2029par",
		"\u00a0nbsp\u00a0", "\u3000ideographic\u3000", "\ufffd\ufffe\uffff", "\U000e0001\U000e0041tag", "\U0010ffff", "\u0001\u0002\u0008\u001b[31mred", "\u007f\u0080\u009f", "\ufff9\ufffa\ufffb",
	}
	return append(list, strings.Repeat("long ", 800), strings.Repeat("🧨", 2000), strings.Repeat("a", 4000), strings.Repeat("<b>", 1000), strings.Repeat("\u0301", 1500))
}
