package obreia

allow if {
	some i in numbers.range(1, 4000)
	some j in numbers.range(1, 4000)
	i * j == 0
}
