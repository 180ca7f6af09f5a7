# Draws the lines of a program's output as a picture of a terminal:  some_program | awk -f terminal_svg.awk > picture.svg
function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}
{
    lines[NR] = $0
    if (length($0) > width) width = length($0)
}
END {
    char_width = 7.25
    line_height = 17
    w = int(width * char_width) + 40
    h = NR * line_height + 62
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", w, h, w, h
    printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#1e2430\"/>\n", w, h
    split("#ff5f57 #febc2e #28c840", lights, " ")
    for (i = 1; i <= 3; ++i) printf "<circle cx=\"%d\" cy=\"18\" r=\"6\" fill=\"%s\"/>\n", 20 * i, lights[i]
    print "<g font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"12\" fill=\"#d8dee9\" xml:space=\"preserve\">"
    for (i = 1; i <= NR; ++i)
        printf "<text x=\"20\" y=\"%d\" textLength=\"%.0f\"%s>%s</text>\n", 36 + i * line_height, length(lines[i]) * char_width,
            lines[i] ~ /^\$/ ? " fill=\"#88c0d0\"" : lines[i] ~ /^(layer|best)/ ? " fill=\"#a3be8c\"" : "", escaped(lines[i])
    print "</g>\n</svg>"
}
