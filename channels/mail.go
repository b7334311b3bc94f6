package channels

// Mailbox is a name with an address.
type Mailbox struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// MailData describes a message that names its recipients; it stands under "email" in a message's data.
type MailData struct {
	From      Mailbox   `json:"from"`
	To        []Mailbox `json:"to"`
	Cc        []Mailbox `json:"cc"`
	Bcc       []Mailbox `json:"bcc"` // ours only
	ReplyTo   []Mailbox `json:"reply_to"`
	More      int       `json:"more,omitempty"` // recipients left out of the lists
	MessageID string    `json:"message_id"`
	Auto      string    `json:"auto"` // reply, bounce, list, bulk; "" = a person wrote it
	Auth      *MailAuth `json:"auth"` // what our own server found out about the sender; nil = it did not say
	HasHTML   bool      `json:"has_html"`
	Simple    bool      `json:"simple"` // the HTML says nothing by its looks that the text does not
	// QuoteAt and SignatureAt are where, in characters of the text, the quoted part and the signature begin; -1 = none.
	QuoteAt     int      `json:"quote_at"`
	SignatureAt int      `json:"signature_at"`
	Spoofable   bool     `json:"spoofable"` // nothing proves that the sender is who he says
	Copies      []string `json:"copies"`    // ids of the other channels in which the same message arrived
	Warnings    []string `json:"warnings"`
}

// MailAuth are the verdicts of the receiving server: pass, fail, none ...
type MailAuth struct {
	SPF   string `json:"spf"`
	DKIM  string `json:"dkim"`
	DMARC string `json:"dmarc"`
	By    string `json:"by"`
}
