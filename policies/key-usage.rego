# Who may use a key: nobody, unless a rule here says so. The same rule as
# key-usage-v0.rego, in today's syntax, with words for what it refuses.
package obreia

default allow := false

hour := 3600000000000

allow if {
	input.key_purpose == "model-sign"
	input.claims.role == "ml-sec"
	input.env == "prod"
	fresh
}

fresh if {
	input.claims.session_start <= input.now_ns
	input.now_ns - input.claims.session_start < hour
}

deny contains "the session is older than an hour, or begins in the future" if {
	input.claims.session_start
	not fresh
}
