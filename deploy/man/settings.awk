# `leat config` as the body of leat.conf(5).
function safe(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/,/, ",\\:", text)
    return text
}
/^[a-z]+\.[a-z_]+ = / {
    match($0, / = /)
    name = substr($0, 1, RSTART - 1)
    value = substr($0, RSTART + 3)
    reload = value ~ /\(default, SIGHUP\)$/
    sub(/ *\(default(, SIGHUP)?\)$/, "", value)
    group = name
    sub(/\..*/, "", group)
    if (group != last)
        print ".SS " group
    last = group
    print ".TP\n\\fB" safe(name) "\\fR" (value == "" ? "" : " = " safe(value)) (reload ? " \\fI(SIGHUP)\\fR" : "")
    next
}
/^ +/ { sub(/^ +/, ""); print "\\&" safe($0) }
