# Refuses models with a file whose format can run code when it is loaded
# (pickles, Keras Lambda layers, TorchScript, executables, …), and files whose
# format contradicts its own specification. What a file is, is told by its
# content, never by its name.
package obreia

default allow := false

allow if looked_into

# Every file was looked into: what has no format was not, and proves nothing.
looked_into if {
	every file in input.model.files {
		some format in input.model.formats
		format.path == file.path
	}
}

deny contains message if {
	some format in input.model.formats
	format.code_carrying
	message := sprintf("%s is %s, which can run code when it is loaded", [format.path, format.format])
}

deny contains message if {
	some format in input.model.formats
	count(object.get(format, "malformed", [])) > 0
	message := sprintf("%s is a malformed %s", [format.path, format.format])
}

deny contains message if {
	some format in input.model.formats
	not is_boolean(object.get(format, "code_carrying", null))
	message := "a file's format says neither that it carries code nor that it does not"
}
