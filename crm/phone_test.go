package crm

import "testing"

func TestParsePhone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, region, kind, value string }{
		{"8 (912) 345-67-89", "RU", KindPhone, "+79123456789"},
		{"79123456789", "RU", KindPhone, "+79123456789"},
		{"9123456789", "RU", KindPhone, "+79123456789"},
		{"+7 912 345 67 89", "", KindPhone, "+79123456789"},
		{"00447911123456", "RU", KindPhone, "+447911123456"},
		{"0911234567", "ET", KindPhone, "+251911234567"},
		{"+5511987654321", "", KindPhone, "+5511987654321"},
		{"+551187654321", "", KindPhone, "+5511987654321"},
		{"+551133334444", "", KindPhone, "+551133334444"},
		{"+5215512345678", "", KindPhone, "+525512345678"},
		{"+525512345678", "", KindPhone, "+525512345678"},
		{"+5491123456789", "", KindPhone, "+541123456789"},
		{"+541123456789", "", KindPhone, "+541123456789"},
		{"tel:+7-495-123-45-67;phone-context=+7", "", KindPhone, "+74951234567"},
		{"sip:+74951234567@example.org", "", KindPhone, "+74951234567"},
		{"٠٥٠١٢٣٤٥٦٧", "AE", KindPhone, "+971501234567"},
		{"+7 495 123-45-67 доб. 12", "RU", KindPhone, "+74951234567"},
		{"911", "RU", "", ""},
		{"112", "RU", "", ""},
		{"12345", "RU", "", ""},
		{"anonymous", "RU", "", ""},
		{"", "RU", "", ""},
		{"unavailable 1234567", "RU", "", ""},
		{"5551234567", "", KindPhoneRaw, "5551234567"},
	} {
		p, ok := ParsePhone(c.in, c.region)
		if ok != (c.kind != "") || p.Kind != c.kind || p.Value != c.value {
			t.Errorf("ParsePhone(%q, %q) = %+v, %v; want %s %s", c.in, c.region, p, ok, c.kind, c.value)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	f.Add("8 (912) 345-67-89", "RU")
	f.Add("tel:+7-495-123-45-67;phone-context=+7", "")
	f.Add("+\x00٠٥", "AE")
	f.Fuzz(func(t *testing.T, in, region string) {
		p, ok := ParsePhone(in, region)
		if !ok {
			return
		}
		again, ok := ParsePhone(p.Value, region)
		if p.Kind == KindPhone && (!ok || again.Value != p.Value) {
			t.Errorf("%q gives %q, which gives %q", in, p.Value, again.Value)
		}
	})
}
