/// A table of results, for a page and for plain text.
package struct ResultTable: Equatable {
  package var title: String
  package var head: [String]
  package var rows: [[String]]
  package var note: String

  package init(title: String, head: [String], rows: [[String]], note: String = "") {
    self.title = title
    self.head = head
    self.rows = rows
    self.note = note
  }

  package var html: String {
    HTMLTable(head: head, rows: rows).html + (note.isEmpty ? "" : "<p class=\"note\">\(escaped(note))</p>\n")
  }

  package var markdown: String {
    func line(_ cells: [String]) -> String {
      "| \(cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ")) |\n"
    }
    let rule = "|---|" + String(repeating: "---:|", count: max(0, head.count - 1)) + "\n"
    return "## \(title)\n\n" + line(head) + rule + rows.map(line).joined() + (note.isEmpty ? "" : "\n\(note)\n")
  }
}
