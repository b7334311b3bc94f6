package webform

// text is what a visitor reads; the admin chooses the language of the form.
type text struct {
	Send     string `json:"send"`
	Sending  string `json:"sending"`
	Thanks   string `json:"thanks"`
	Required string `json:"required"`
	Email    string `json:"email"`
	Phone    string `json:"phone"`
	Choice   string `json:"choice"`
	Long     string `json:"long"`
	Again    string `json:"again"`
	Busy     string `json:"busy"`
	Failed   string `json:"failed"`
	Choose   string `json:"choose"`
	Yes      string `json:"yes"`
	Empty    string `json:"empty"`
	Trap     string `json:"trap"`
}

var words = map[string]*text{
	"en": {
		Send: "Send", Sending: "Sending…", Thanks: "Thank you. We have your message and will answer soon.", Required: "Fill in this field.",
		Email: "This is not an e-mail address.", Phone: "This is not a telephone number.", Choice: "Choose one of the list.", Long: "This is too long.",
		Again: "Please press Send once more.", Busy: "Too many messages at the moment. Try again in a minute.",
		Failed: "This could not be sent. What you wrote is kept: try again.", Choose: "Choose…", Yes: "Yes", Empty: "Fill in the form.", Trap: "Leave this empty",
	},
	"ru": {
		Send: "Отправить", Sending: "Отправляем…", Thanks: "Спасибо! Мы получили сообщение и скоро ответим.", Required: "Заполните это поле.",
		Email: "Это не адрес электронной почты.", Phone: "Это не номер телефона.", Choice: "Выберите из списка.", Long: "Слишком длинно.",
		Again: "Нажмите «Отправить» ещё раз.", Busy: "Сейчас слишком много сообщений. Попробуйте через минуту.",
		Failed: "Отправить не удалось. Написанное сохранено: попробуйте ещё раз.", Choose: "Выберите…", Yes: "Да", Empty: "Заполните форму.", Trap: "Оставьте пустым",
	},
	"am": {
		Send: "ላክ", Sending: "በመላክ ላይ…", Thanks: "እናመሰግናለን። መልእክትዎ ደርሶናል፤ በቅርቡ እንመልሳለን።", Required: "ይህን ቦታ ይሙሉ።",
		Email: "ይህ የኢሜይል አድራሻ አይደለም።", Phone: "ይህ የስልክ ቁጥር አይደለም።", Choice: "ከዝርዝሩ ይምረጡ።", Long: "ይህ በጣም ረጅም ነው።",
		Again: "እባክዎ «ላክ» የሚለውን እንደገና ይጫኑ።", Busy: "አሁን መልእክቶች በዝተዋል። ከአንድ ደቂቃ በኋላ ይሞክሩ።",
		Failed: "መላክ አልተቻለም። የጻፉት ተቀምጧል፤ እንደገና ይሞክሩ።", Choose: "ይምረጡ…", Yes: "አዎ", Empty: "ቅጹን ይሙሉ።", Trap: "ባዶ ይተዉት",
	},
}
