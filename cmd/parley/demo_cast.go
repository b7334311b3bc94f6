package main

import "github.com/parley-hub/parley/channels/telegram/tgfake"

// customer is somebody who does not exist. opens is what he writes by himself, then is what he says to each answer.
type customer struct {
	name, lang, username, phone string
	opens, then                 []line
}

type line func(u *tgfake.User)

func says(text string) line { return func(u *tgfake.User) { u.Send(text) } }

func shows(picture func() []byte, caption string) line {
	return func(u *tgfake.User) { u.SendPhoto(picture(), caption) }
}

func hands(name, text, caption string) line {
	return func(u *tgfake.User) { u.SendDocument(name, "text/plain", []byte(text), caption) }
}

func stands(lat, lon float64) line { return func(u *tgfake.User) { u.SendLocation(lat, lon) } }

func sharesNumber() line { return func(u *tgfake.User) { u.SendOwnContact() } }

func starts(payload string) line { return func(u *tgfake.User) { u.Start(payload) } }

// cast are the customers in the order in which they turn up.
func cast() []customer {
	return []customer{
		{
			name: "Marta Lindqvist", lang: "en", username: "marta_l",
			opens: []line{starts("autumn-ad"), says("Hi! Is the walnut desk still available in 160 cm?")},
			then:  []line{says("Great. And how long does delivery to Uppsala take?"), says("Perfect, I'll order it tonight. Thank you!")},
		},
		{
			name: "Илья Соколов", lang: "ru", username: "sokolov_ilya", phone: "79161234567",
			opens: []line{says("Добрый день! Заказ №1042 должен был прийти вчера, но курьера не было.")},
			then:  []line{sharesNumber(), says("Да, завтра после 18:00 удобно."), says("Спасибо, жду!")},
		},
		{
			name: "ሰላም ተስፋዬ", lang: "am",
			opens: []line{says("ሰላም፣ ይህ ወንበር በአዲስ አበባ ይገኛል?")},
			then:  []line{says("ዋጋው ስንት ነው?"), says("እናመሰግናለን!")},
		},
		{
			name: "Daniel Okafor", lang: "en", username: "dokafor",
			opens: []line{says("The lamp arrived with a crack in the shade."), shows(lampPicture, "Here is how it looks")},
			then:  []line{says("A replacement would be best, please."), says("Brilliant, thanks for the quick help.")},
		},
		{
			name: "Анна Белова", lang: "ru", username: "belova_a",
			opens: []line{says("Здравствуйте, можно ли вернуть кресло, если не подойдёт цвет?"), says("И кто платит за обратную доставку?")},
			then:  []line{says("Понятно, тогда закажу образцы ткани."), says("Благодарю")},
		},
		{
			name: "Jonas Weber", lang: "de", username: "jweber",
			opens: []line{says("Could you send the invoice for order 998 to our accounting?"), hands("order-998.txt", "Order 998\n4 x chair \"Lund\", oak\nTotal 1,116.00 EUR\n", "This one")},
			then:  []line{says("accounting@weber-architekten.example, please."), says("Got it, thanks.")},
		},
		{
			name: "Priya Nair", lang: "en", username: "priyanair",
			opens: []line{says("Is your showroom open on Sunday? I'm around here:"), stands(51.5237, -0.0775)},
			then:  []line{says("Then I'll come on Saturday before noon."), says("See you!")},
		},
		{
			name: "Сергей Кузнецов", lang: "ru",
			opens: []line{says("Алло"), says("Вы тут?"), says("Мне нужен стеллаж 200x80, белый, срочно")},
			then:  []line{says("Самовывоз сегодня возможен?"), says("Ок, выезжаю.")},
		},
		{
			name: "Léa Fontaine", lang: "fr", username: "lea.f",
			opens: []line{says("Hello, do you ship to Lyon, and do you assemble on site?")},
			then:  []line{says("That would be for two wardrobes, third floor, with a lift."), says("Please send me an offer."), says("Merci!")},
		},
		{
			name: "Tomasz Wójcik", lang: "pl",
			opens: []line{says("My discount code AUTUMN10 is not accepted at the checkout.")},
			then:  []line{shows(errorPicture, "The message that I get"), says("It works now, thank you.")},
		},
		{
			name: "Hiwot Bekele", lang: "am", username: "hiwot_b", phone: "251911234567",
			opens: []line{starts(""), says("Good morning! I would like to talk about furnishing an office for twelve people.")},
			then:  []line{sharesNumber(), says("Tomorrow at ten would be good."), says("Looking forward to it.")},
		},
		{
			name: "Ольга Миронова", lang: "ru", username: "olga_mironova",
			opens: []line{says("Подскажите, из какого дерева столешница у модели «Север»?")},
			then:  []line{says("А чем её лучше обрабатывать?"), says("Очень помогли, спасибо!")},
		},
	}
}
