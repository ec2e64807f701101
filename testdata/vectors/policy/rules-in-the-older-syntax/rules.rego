package obreia

default allow = false

allow {
	input.stage == "startup"
}
