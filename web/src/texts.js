// What the page says, in its two languages.

const ENGLISH = {
  skip: "To the results",
  promise: "Everything is computed in this browser. No picture leaves your device.",
  language: "Language",
  controls: "What to do",
  stage: "Picture",
  results: "Faces",
  timelines: "Emotions over time",
  open: "Open a picture",
  camera: "Start the camera",
  cameraStop: "Stop the camera",
  emotionModel: "Emotion model",
  showGender: "Show gender",
  saveJson: "Save JSON",
  saveCsv: "Save CSV",
  drop: "Drop a picture here, paste one, or open one.",
  aboutModel: "About this model",
  limits: "Limits",
  loading: "The models are being loaded …",
  ready: "Ready.",
  notReady: "The page is not ready.",
  working: "Looking for faces …",
  none: "No face found.",
  found: (count) => (count === 1 ? "1 face found." : `${count} faces found.`),
  cameraRuns: "The camera is running.",
  cameraStopped: "The camera is off.",
  face: (number) => `Face ${number}`,
  frames: (rate) => `${rate.toFixed(0)} frames per second`,
  noPicture: (name) => `${name} is not a picture that this browser can read. Try a JPEG or PNG file.`,
  onlyFirst: (name) => `One picture is shown at a time: ${name}. The other files were ignored.`,
  noCamera: "No camera was found. You can open a picture instead.",
  cameraDenied: "The browser does not allow the camera: allow it for this page, and start it again.",
  cameraFails: "The camera cannot be used here. Another program may use it, or the page is not loaded over https.",
  modelFails: "A model could not be loaded. Is there a connection? Load the page again.",
  timelineOf: (number, label) => `Emotions of face ${number} over the last 30 seconds, now ${label}`,
  pictureOf: (labels) => (labels.length ? `Picture with ${labels.join("; ")}` : "Picture without a face"),
  cardName: "Name",
  cardParameters: "Parameters",
  cardClasses: "Classes",
  cardData: "Trained on",
  cardAccuracy: "Accuracy",
  accuracyOn: (share, low, high, split, n) =>
    `${share} % (95 % interval ${low} to ${high}) of ${n} faces of ${split}`,
  cardWeaknesses: "Known weaknesses",
  limitTexts: [
    "A label says what a face seems to show to the people who labelled the training pictures. It is not what somebody feels.",
    "For many faces the label differs from the one that people gave; the card says how many. Fear, sadness and anger are confused most.",
    "Small, blurred, dark or turned faces are often missed or labelled wrongly. Covered faces and profiles have not been measured.",
    "“Gender” is how annotators saw a face, in two classes, not a person's gender. For people who fit neither class, both answers are wrong.",
    "Do not use it to judge, select or watch people. In the European Union, inferring emotions at work and in education is prohibited (Regulation (EU) 2024/1689, article 5).",
  ],
  classes: {},
};

const GERMAN = {
  skip: "Zu den Ergebnissen",
  promise: "Alles wird in diesem Browser berechnet. Kein Bild verlässt Ihr Gerät.",
  language: "Sprache",
  controls: "Bedienung",
  stage: "Bild",
  results: "Gesichter",
  timelines: "Emotionen im Verlauf",
  open: "Bild öffnen",
  camera: "Kamera starten",
  cameraStop: "Kamera stoppen",
  emotionModel: "Emotionsmodell",
  showGender: "Geschlecht anzeigen",
  saveJson: "JSON speichern",
  saveCsv: "CSV speichern",
  drop: "Ziehen Sie ein Bild hierher, fügen Sie eines ein oder öffnen Sie eines.",
  aboutModel: "Über dieses Modell",
  limits: "Grenzen",
  loading: "Die Modelle werden geladen …",
  ready: "Bereit.",
  notReady: "Die Seite ist nicht bereit.",
  working: "Gesichter werden gesucht …",
  none: "Kein Gesicht gefunden.",
  found: (count) => (count === 1 ? "1 Gesicht gefunden." : `${count} Gesichter gefunden.`),
  cameraRuns: "Die Kamera läuft.",
  cameraStopped: "Die Kamera ist aus.",
  face: (number) => `Gesicht ${number}`,
  frames: (rate) => `${rate.toFixed(0)} Bilder pro Sekunde`,
  noPicture: (name) => `${name} ist kein Bild, das dieser Browser lesen kann. Versuchen Sie JPEG oder PNG.`,
  onlyFirst: (name) => `Es wird immer nur ein Bild gezeigt: ${name}, die übrigen Dateien nicht.`,
  noCamera: "Es wurde keine Kamera gefunden. Sie können stattdessen ein Bild öffnen.",
  cameraDenied: "Die Kamera darf nicht benutzt werden: Erlauben Sie es dieser Seite im Browser und starten Sie sie erneut.",
  cameraFails: "Die Kamera lässt sich hier nicht benutzen. Vielleicht nutzt sie ein anderes Programm, oder die Seite wurde nicht über https geladen.",
  modelFails: "Ein Modell konnte nicht geladen werden. Besteht eine Verbindung? Laden Sie die Seite neu.",
  timelineOf: (number, label) => `Emotionen von Gesicht ${number} in den letzten 30 Sekunden, jetzt ${label}`,
  pictureOf: (labels) => (labels.length ? `Bild mit ${labels.join("; ")}` : "Bild ohne Gesicht"),
  cardName: "Name",
  cardParameters: "Parameter",
  cardClasses: "Klassen",
  cardData: "Trainiert mit",
  cardAccuracy: "Trefferquote",
  accuracyOn: (share, low, high, split, n) =>
    `${share} % (95-%-Intervall ${low} bis ${high}) von ${n} Gesichtern aus ${split}`,
  cardWeaknesses: "Bekannte Schwächen",
  limitTexts: [
    "Ein Etikett sagt, was ein Gesicht denen zu zeigen scheint, die die Trainingsbilder beschriftet haben. Es ist nicht, was jemand fühlt.",
    "Viele Gesichter bekommen ein anderes Etikett, als Menschen ihnen gaben; die Karte des Modells sagt, wie viele. Angst, Trauer und Ärger werden am häufigsten verwechselt.",
    "Kleine, unscharfe, dunkle oder abgewandte Gesichter werden oft übersehen oder falsch beurteilt. Verdeckte Gesichter und Profile wurden nicht gemessen.",
    "„Geschlecht“ ist das Aussehen eines Gesichts in zwei Klassen, wie Beschrifter es sahen, nicht das Geschlecht eines Menschen. Für Menschen, die in keine der beiden passen, sind beide Antworten falsch.",
    "Beurteilen, überwachen oder wählen Sie damit keine Menschen aus. In der Europäischen Union ist es verboten, Emotionen am Arbeitsplatz und in Bildungseinrichtungen abzuleiten (Verordnung (EU) 2024/1689, Artikel 5).",
  ],
  classes: {
    angry: "wütend", disgust: "angewidert", fear: "ängstlich", happy: "fröhlich", sad: "traurig",
    surprise: "überrascht", neutral: "neutral", contempt: "verächtlich",
    anger: "wütend", happiness: "fröhlich", sadness: "traurig",
    woman: "Frau", man: "Mann",
  },
};

const LANGUAGES = { en: ENGLISH, de: GERMAN };
let current = "en";

/** Choose the language of the browser, or one of `LANGUAGES`. */
export function chooseLanguage(name = navigator.language.slice(0, 2)) {
  current = name in LANGUAGES ? name : "en";
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  return current;
}

/** Return a text of the page. */
export function say(key, ...values) {
  const text = LANGUAGES[current][key];
  return typeof text === "function" ? text(...values) : text;
}

/** Return what a class is called. */
export function classNamed(name) {
  return LANGUAGES[current].classes[name] ?? name;
}
