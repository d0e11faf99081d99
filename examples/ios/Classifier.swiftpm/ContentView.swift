import PhotosUI
import SwiftUI

struct ContentView: View {
  @State private var chosen: PhotosPickerItem?
  @State private var photo: UIImage?
  @State private var answers: [Classifier.Answer] = []
  @State private var problem: String?
  @State private var classifier: Classifier?

  var body: some View {
    NavigationStack {
      List {
        if let photo { Image(uiImage: photo).resizable().scaledToFit() }
        if let problem { Text(problem).foregroundStyle(.red) }
        ForEach(answers) { answer in
          LabeledContent("class \(answer.id)", value: answer.share.formatted(.percent.precision(.fractionLength(1))))
        }
      }
      .navigationTitle("Classifier")
      .toolbar { PhotosPicker("Choose a photograph", selection: $chosen, matching: .images) }
      .onChange(of: chosen) { item in
        Task { await classify(item) }
      }
    }
  }

  private func classify(_ item: PhotosPickerItem?) async {
    do {
      guard let data = try await item?.loadTransferable(type: Data.self), let picture = UIImage(data: data) else { return }
      let opened = try classifier ?? Classifier()
      classifier = opened
      photo = picture
      answers = try await opened.classify(picture)
      problem = nil
    } catch {
      problem = error.localizedDescription
    }
  }
}
