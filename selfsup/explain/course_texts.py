"""Short documents of the course: a tokenizer learns from them, and random sentences come from them.

A document is a list of sentences.
"""

DOCUMENTS = {
    "en": (
        (
            "The heart is a muscle that pumps blood through the body.",
            "It beats about seventy times in a minute, day and night.",
            "When you run, it beats faster, because the muscles need more air.",
            "A doctor can hear it with a simple tube and can see it on a screen.",
            "If it does not work well, the patient is tired and needs help.",
        ),
        (
            "The old bridge stands over the river at the end of the town.",
            "It was built of stone more than two hundred years ago.",
            "Every morning people cross it on their way to work.",
            "In winter the water is high and nobody may stand near the edge.",
            "The city wants to build a new one beside it.",
        ),
        (
            "Bread needs only four things: water, flour, salt and time.",
            "First you mix the flour with the water and wait for an hour.",
            "Then you add the salt and work with your hands until it is smooth.",
            "It has to rest in a warm room, where it grows to twice its size.",
            "After forty minutes in a hot oven it is ready to eat.",
        ),
        (
            "The customer wrote that the new computer would not start.",
            "We asked her to hold the button for ten seconds and to try again.",
            "After that the screen was on, but the sound did not work.",
            "The problem was an old file that we had to replace.",
            "She thanked us and closed the ticket the next day.",
        ),
        (
            "A language model learns from text that nobody has labelled.",
            "A word is hidden, and the model has to guess it from the other words.",
            "At first it is wrong nearly every time, and slowly it learns to be right.",
            "What it has learned is then used for another task with few examples.",
            "The same idea works for images, for sound and for the language of cells.",
        ),
    ),
    "ko": (
        (
            "심장은 온몸으로 피를 보내는 근육입니다.",
            "심장은 밤낮으로 일 분에 약 일흔 번 뜁니다.",
            "달리기를 하면 근육에 공기가 더 필요하기 때문에 심장이 더 빨리 뜁니다.",
            "의사는 간단한 도구로 심장 소리를 듣고 화면으로 볼 수 있습니다.",
            "심장이 잘 뛰지 않으면 환자는 쉽게 지치고 도움이 필요합니다.",
        ),
        (
            "마을 끝에는 강을 건너는 오래된 다리가 있습니다.",
            "이 다리는 이백 년 전에 돌로 만들어졌습니다.",
            "아침마다 사람들은 이 다리를 건너 일하러 갑니다.",
            "겨울에는 물이 높아져서 아무도 다리 가까이에 서면 안 됩니다.",
            "시에서는 그 옆에 새로운 다리를 만들려고 합니다.",
        ),
        (
            "빵을 만들려면 물과 밀가루와 소금과 시간만 있으면 됩니다.",
            "먼저 밀가루와 물을 섞고 한 시간을 기다립니다.",
            "그리고 소금을 넣고 손으로 부드러워질 때까지 섞습니다.",
            "따뜻한 방에 두면 크기가 두 배로 커집니다.",
            "뜨거운 오븐에서 사십 분이 지나면 먹을 수 있습니다.",
        ),
        (
            "고객은 새로운 컴퓨터가 켜지지 않는다고 글을 보냈습니다.",
            "우리는 버튼을 십 초 동안 누르고 다시 해 보라고 했습니다.",
            "그러자 화면은 켜졌지만 소리가 나오지 않았습니다.",
            "문제는 오래된 파일이었고 우리는 그것을 바꾸어야 했습니다.",
            "고객은 고맙다고 했고 다음 날 문의를 닫았습니다.",
        ),
        (
            "언어 모델은 아무도 레이블을 달지 않은 글로 학습합니다.",
            "단어 하나를 가리면 모델은 다른 단어를 보고 그 단어를 맞혀야 합니다.",
            "처음에는 거의 항상 틀리지만 학습할수록 점점 더 잘 맞힙니다.",
            "이렇게 배운 것을 예제가 적은 다른 과제에 사용합니다.",
            "자기지도학습은 그림과 소리와 세포의 언어에도 같은 방법으로 사용할 수 있습니다.",
        ),
    ),
}
